"use strict";(self.rspackChunkpachon_lab=self.rspackChunkpachon_lab||[]).push([[266],{19(e,r,n){var o=n(20),t=n.n(o),a=n(21),i=(n.n(a))()(t());i.push([e.id,`.pachon-Queries {
  display: flex;
  flex-direction: column;
  color: var(--jp-ui-font-color1);
  background: var(--jp-layout-color1);
  font-size: var(--jp-ui-font-size1);
}

.pachon-Queries-head {
  padding: 8px 12px 4px;
}

.pachon-Queries h2,
.pachon-Queries h3 {
  margin: 0 0 6px;
  font-size: var(--jp-ui-font-size1);
  font-weight: 600;
}

.pachon-Queries h3 {
  margin: 12px 12px 2px;
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
  text-transform: uppercase;
}

.pachon-Queries input {
  box-sizing: border-box;
  width: 100%;
  padding: 4px 8px;
  border: var(--jp-border-width) solid var(--jp-border-color1);
  border-radius: var(--jp-border-radius);
  color: var(--jp-ui-font-color1);
  background: var(--jp-input-background);
  font: inherit;
}

.pachon-Queries-status:empty {
  display: none;
}

.pachon-Queries-status {
  margin: 4px 12px;
  padding: 6px 8px;
  border-left: 3px solid var(--jp-error-color1);
  overflow-wrap: anywhere;
}

.pachon-Queries-lists {
  flex: 1;
  overflow: auto;
  padding-bottom: 12px;
}

.pachon-Queries-lists > p,
.pachon-Queries-welcome {
  margin: 8px 12px;
  line-height: 1.5;
}

.pachon-Queries ul {
  margin: 0;
  padding: 0;
  list-style: none;
}

.pachon-Queries li {
  display: grid;
  grid-template-columns: 1fr auto;
  gap: 0 8px;
  padding: 4px 4px 4px 12px;
}

.pachon-Queries li:hover,
.pachon-Queries li:focus-within {
  background: var(--jp-layout-color2);
}

.pachon-Queries .pachon-open,
.pachon-Queries .pachon-menu {
  padding: 2px 0;
  border: 0;
  color: inherit;
  background: none;
  font: inherit;
  text-align: left;
  cursor: pointer;
}

.pachon-Queries .pachon-open {
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.pachon-Queries .pachon-menu {
  padding: 2px 8px;
}

.pachon-Queries button:focus-visible,
.pachon-Queries input:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: 1px;
}

.pachon-Queries small {
  grid-column: 1 / -1;
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
}

.pachon-Queries .pachon-passed,
.pachon-Queries progress {
  grid-column: 1 / -1;
  width: 100%;
}

.pachon-Queries .pachon-button {
  min-height: 24px;
  margin-right: 8px;
  cursor: pointer;
}

.pachon-Queries .pachon-Running .pachon-button {
  grid-column: 1 / -1;
  justify-self: start;
  margin-top: 4px;
}
`,""]),n.d(r,{},{A:i})},21(e){e.exports=function(e){var r=[];return r.toString=function(){return this.map(function(r){var n="",o=void 0!==r[5];return r[4]&&(n+="@supports (".concat(r[4],") {")),r[2]&&(n+="@media ".concat(r[2]," {")),o&&(n+="@layer".concat(r[5].length>0?" ".concat(r[5]):""," {")),n+=e(r),o&&(n+="}"),r[2]&&(n+="}"),r[4]&&(n+="}"),n}).join("")},r.i=function(e,n,o,t,a){"string"==typeof e&&(e=[[null,e,void 0]]);var i={};if(o)for(var p=0;p<this.length;p++){var s=this[p][0];null!=s&&(i[s]=!0)}for(var c=0;c<e.length;c++){var u=[].concat(e[c]);o&&i[u[0]]||(void 0!==a&&(void 0===u[5]||(u[1]="@layer".concat(u[5].length>0?" ".concat(u[5]):""," {").concat(u[1],"}")),u[5]=a),n&&(u[2]&&(u[1]="@media ".concat(u[2]," {").concat(u[1],"}")),u[2]=n),t&&(u[4]?(u[1]="@supports (".concat(u[4],") {").concat(u[1],"}"),u[4]=t):u[4]="".concat(t)),r.push(u))}},r}},20(e){e.exports=function(e){return e[1]}},12(e,r,n){n.r(r);var o=n(13),t=n.n(o),a=n(14),i=n.n(a),p=n(15),s=n.n(p),c=n(16),u=n.n(c),l=n(17),d=n.n(l),h=n(18),f=n.n(h),v=n(19),m={};m.styleTagTransform=f(),m.setAttributes=u(),m.insert=s().bind(null,"head"),m.domAPI=i(),m.insertStyleElement=d(),t()(v.A,m);let g=v.A&&v.A.locals?v.A.locals:void 0;n.d(r,{},{default:g})},13(e){var r=[];function n(e){for(var n=-1,o=0;o<r.length;o++)if(r[o].identifier===e){n=o;break}return n}function o(e,o){for(var t={},a=[],i=0;i<e.length;i++){var p=e[i],s=o.base?p[0]+o.base:p[0],c=t[s]||0,u="".concat(s," ").concat(c);t[s]=c+1;var l=n(u),d={css:p[1],media:p[2],sourceMap:p[3],supports:p[4],layer:p[5]};if(-1!==l)r[l].references++,r[l].updater(d);else{var h=function(e,r){var n=r.domAPI(r);return n.update(e),function(r){r?(r.css!==e.css||r.media!==e.media||r.sourceMap!==e.sourceMap||r.supports!==e.supports||r.layer!==e.layer)&&n.update(e=r):n.remove()}}(d,o);o.byIndex=i,r.splice(i,0,{identifier:u,updater:h,references:1})}a.push(u)}return a}e.exports=function(e,t){var a=o(e=e||[],t=t||{});return function(e){e=e||[];for(var i=0;i<a.length;i++){var p=n(a[i]);r[p].references--}for(var s=o(e,t),c=0;c<a.length;c++){var u=n(a[c]);0===r[u].references&&(r[u].updater(),r.splice(u,1))}a=s}}},15(e){var r={};e.exports=function(e,n){var o=function(e){if(void 0===r[e]){var n=document.querySelector(e);if(window.HTMLIFrameElement&&n instanceof window.HTMLIFrameElement)try{n=n.contentDocument.head}catch(e){n=null}r[e]=n}return r[e]}(e);if(!o)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");o.appendChild(n)}},17(e){e.exports=function(e){var r=document.createElement("style");return e.setAttributes(r,e.attributes),e.insert(r,e.options),r}},16(e,r,n){e.exports=function(e){var r=n.nc;r&&e.setAttribute("nonce",r)}},14(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var r=e.insertStyleElement(e);return{update:function(n){var o,t,a;o="",n.supports&&(o+="@supports (".concat(n.supports,") {")),n.media&&(o+="@media ".concat(n.media," {")),(t=void 0!==n.layer)&&(o+="@layer".concat(n.layer.length>0?" ".concat(n.layer):""," {")),o+=n.css,t&&(o+="}"),n.media&&(o+="}"),n.supports&&(o+="}"),(a=n.sourceMap)&&"u">typeof btoa&&(o+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(a))))," */")),e.styleTagTransform(o,r,e.options)},remove:function(){var e;null===(e=r).parentNode||e.parentNode.removeChild(e)}}}},18(e){e.exports=function(e,r){if(r.styleSheet)r.styleSheet.cssText=e;else{for(;r.firstChild;)r.removeChild(r.firstChild);r.appendChild(document.createTextNode(e))}}}}]);